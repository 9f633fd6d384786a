-- A track "source" with a two-second clip at two seconds; half a second of it is selected.
return function ()
	local files = C.StringVector ()
	files:push_back (os.getenv ("TEST_FOLDER") .. "/source.wav")
	Editor:do_import (files, Editing.ImportDistinctFiles, Editing.ImportAsTrack,
		ARDOUR.SrcQuality.SrcBest, ARDOUR.MidiTrackNameSource.SMFTrackName,
		ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore, Temporal.timepos_t (96000),
		ARDOUR.PluginInfo (), ARDOUR.Track (), false)
	Editor:set_loop_range (Temporal.timepos_t (120000), Temporal.timepos_t (144000), "loop")
	Editor:access_action ("Editor", "select-loop-range")
end
