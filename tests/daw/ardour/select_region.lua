-- The clip itself, and no time.
return function ()
	for route in Session:get_tracks ():iter () do
		for region in route:to_track ():playlist ():region_list ():iter () do
			if region:name () == "source" then
				local selection = ArdourUI.SelectionList ()
				selection:push_back (Editor:regionview_from_region (region))
				Editor:set_selection (selection, ArdourUI.SelectionOp.Set)
			end
		end
	end
end
