-- Half a second where there is no region.
return function ()
	Editor:set_loop_range (Temporal.timepos_t (264000), Temporal.timepos_t (288000), "loop")
	Editor:access_action ("Editor", "select-loop-range")
end
