-- What is selected and what lies on the tracks, and the session saved.
return function ()
	local path = os.getenv ("TEST_FOLDER") .. "/report.txt"
	local report = io.open (path, "w")
	local function say (...) report:write (table.concat ({...}, "\t"), "\n") end
	local selection = Editor:get_selection ()
	say ("selection", selection.time:start_sample (), selection.time:end_sample ())
	for region in selection.regions:regionlist ():iter () do say ("selected", region:name ()) end
	for route in Session:get_tracks ():iter () do
		say ("track", route:name ())
		for region in route:to_track ():playlist ():region_list ():iter () do
			say ("region", route:name (), region:name (), region:position ():samples (),
				region:length ():samples (), region:layer ())
		end
	end
	Session:save_state ("", false, false, false, false, false)
	report:close ()
end
