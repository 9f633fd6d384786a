-- Four seconds (two bars at 120 bpm) where there is no region.
return function ()
	Editor:set_loop_range (Temporal.timepos_t (480000), Temporal.timepos_t (672000), "loop")
	Editor:access_action ("Editor", "select-loop-range")
end
