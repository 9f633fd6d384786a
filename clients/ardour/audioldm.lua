ardour {
	["type"] = "EditorAction",
	name = "AudioLDM: sound from words",
	author = "audioldm-daw",
	license = "Apache-2.0",
	description = [[
Sends the selection and a prompt to a running audioldm-daw and inserts what comes back.

A time selection becomes a new track with a sound of that length. A selected region, or the part
of it within the time selection, is made anew as a region on top of it. Nothing is overwritten.
]]
}

function factory () return function ()
	-- Where audioldm-daw answers, and the command that talks to it. For scripts and tests, a prompt
	-- in AUDIOLDM_PROMPT is used instead of asking; problems are then printed instead of shown.
	local port = os.getenv ("AUDIOLDM_OSC_PORT") or "9536"
	local program = os.getenv ("AUDIOLDM_OSC") or "audioldm-osc"
	local unattended = os.getenv ("AUDIOLDM_PROMPT")

	local function complain (sentence)
		if unattended then
			io.stderr:write ("AudioLDM: " .. sentence .. "\n")
		else
			local kind, buttons = LuaDialog.MessageType.Warning, LuaDialog.ButtonType.Close
			LuaDialog.Message ("AudioLDM", sentence, kind, buttons):run ()
		end
	end

	if not io or not io.popen then
		complain ("Ardour runs its scripts in a sandbox, so no program can be started. " ..
			"Switch it off in Preferences > Scripting.")
		return
	end

	-- --- what is selected

	local function top_audio_region (track, from, to)
		local top
		local playlist = track:playlist ()
		for region in playlist:regions_touched (Temporal.timepos_t (from), Temporal.timepos_t (to)):iter () do
			if not region:to_audioregion ():isnil () and (not top or region:layer () > top:layer ()) then
				top = region
			end
		end
		return top
	end

	local function id (region)
		return region:to_stateful ():id ():to_s ()
	end

	local function track_of (wanted)
		for route in Session:get_tracks ():iter () do
			local track = route:to_track ()
			for region in track:playlist ():region_list ():iter () do
				if id (region) == id (wanted) then return track end
			end
		end
	end

	local function selected ()
		local selection = Editor:get_selection ()
		local from, to = selection.time:start_sample (), selection.time:end_sample ()
		local chosen = { from = from, to = to }
		for region in selection.regions:regionlist ():iter () do
			if not region:to_audioregion ():isnil () then
				chosen.region, chosen.track = region, track_of (region)
				break
			end
		end
		if not chosen.region and from < to then
			for route in selection.tracks:routelist ():iter () do
				local track = route:to_track ()
				local region = not track:isnil () and top_audio_region (track, from, to - 1)
				if region then
					chosen.region, chosen.track = region, track
					break
				end
			end
		end
		return chosen
	end

	-- --- asking

	local function ask (chosen)
		if unattended then
			local kind = os.getenv ("AUDIOLDM_KIND") or (chosen.region and "inpaint" or "text")
			return { prompt = unattended, takes = tonumber (os.getenv ("AUDIOLDM_TAKES")) or 1, kind = kind }
		end
		local fields = {
			{ type = "entry", key = "prompt", title = "What it should sound like", default = "" },
			{ type = "number", key = "takes", title = "Takes", min = 1, max = 16, step = 1, digits = 0, default = 1 },
		}
		if chosen.region then
			table.insert (fields, {
				type = "radio", key = "kind", title = "The selection",
				values = { ["is made anew"] = "inpaint", ["is the length of a new sound"] = "text" },
				default = "is made anew"
			})
		end
		local answer = LuaDialog.Dialog ("AudioLDM", fields):run ()
		if answer and not answer.kind then answer.kind = "text" end
		return answer
	end

	-- --- the clip: the region's samples as a WAV file of 32-bit floats

	local function write_wav (path, region)
		local source = region:to_audioregion ():to_readable ()
		local frames, channels = source:readable_length (), source:n_channels ()
		local rate = math.floor (Session:nominal_sample_rate ())
		local file = assert (io.open (path, "wb"))
		local size = frames * channels * 4
		file:write ("RIFF", string.pack ("<I4", 36 + size), "WAVEfmt ", string.pack ("<I4I2I2I4I4I2I2",
			16, 3, channels, rate, rate * channels * 4, channels * 4, 32), "data", string.pack ("<I4", size))
		local block = 2048
		local memory = {}
		for channel = 1, channels do memory[channel] = ARDOUR.DSP.DspShm (block) end
		local at = 0
		while at < frames do
			local count = math.min (block, frames - at)
			local columns = {}
			for channel = 1, channels do
				local floats = memory[channel]:to_float (0)
				source:read (floats, at, count, channel - 1)
				columns[channel] = floats:array ()
			end
			local packed = {}
			for frame = 1, count do
				for channel = 1, channels do
					packed[#packed + 1] = string.pack ("<f", columns[channel][frame])
				end
			end
			file:write (table.concat (packed))
			at = at + count
		end
		file:close ()
	end

	-- --- the job

	local function quoted (word)
		return "'" .. tostring (word):gsub ("'", "'\\''") .. "'"
	end

	local function start (...)
		-- Ardour's own libraries must not be found by other programs.
		local words = { "env", "-u", "LD_LIBRARY_PATH", quoted (program), "--port", quoted (port), "--" }
		for _, word in ipairs ({ ... }) do words[#words + 1] = quoted (word) end
		return io.popen (table.concat (words, " ") .. " 2>&1")
	end

	local function render (...)
		local window = LuaDialog.ProgressWindow ("AudioLDM", true)
		local takes, said, over = {}, "", false
		local answers = start (...)
		for line in answers:lines () do
			local words = {}
			for word in (line .. "\t"):gmatch ("(.-)\t") do words[#words + 1] = word end
			if words[1] == "/ldm/job/progress" then
				window:progress (tonumber (words[4]) / tonumber (words[5]), "step " .. words[4] .. " of " .. words[5])
				if window:canceled () and not over then
					over = true
					start ("/ldm/job/cancel", words[3]):close ()
				end
			elseif words[1] == "/ldm/take" then
				takes[#takes + 1] = { path = words[5], channels = tonumber (words[8]) }
			elseif words[1] == "/ldm/job/done" then
				over = true
			elseif words[1]:sub (1, 1) ~= "/" then
				said = said .. line .. "\n"
			end
		end
		answers:close ()
		window:done ()
		if #takes == 0 then
			complain (said ~= "" and said or program .. " says nothing; is it installed?")
		end
		return takes
	end

	-- --- inserting

	-- The file as a region that lies on no track yet. Importing onto a track would be a step of its
	-- own in the undo history for every take.
	local function import (path)
		local before = {}
		for _, region in ARDOUR.RegionFactory.regions ():iter () do before[id (region)] = true end
		local files = C.StringVector ()
		files:push_back (path)
		Editor:do_import (files, Editing.ImportDistinctFiles, Editing.ImportAsRegion,
			ARDOUR.SrcQuality.SrcBest, ARDOUR.MidiTrackNameSource.SMFTrackName,
			ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore, Temporal.timepos_t (0),
			ARDOUR.PluginInfo (), ARDOUR.Track (), false)
		for _, region in ARDOUR.RegionFactory.regions ():iter () do
			if not before[id (region)] and not region:to_audioregion ():isnil () then
				return ARDOUR.RegionFactory.clone_region (region, true, false)
			end
		end
		complain ("Ardour did not import " .. path)
	end

	local function insert (region, track, position)
		local playlist = track:playlist ()
		playlist:to_stateful ():clear_changes ()
		playlist:add_region (region, Temporal.timepos_t (position), 1, false)
		region:raise_to_top ()
		Session:add_stateful_diff_command (playlist:to_statefuldestructible ())
	end

	local function new_track (name, channels)
		return Session:new_audio_track (channels, 2, nil, 1, name,
			ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true):front ():to_track ()
	end

	-- All takes in one step of Edit > Undo; the first one lies on top.
	local function insert_all (name, takes, position, gain)
		local regions = {}
		for index, take in ipairs (takes) do regions[index] = import (take.path) end
		Session:begin_reversible_command (name)
		for index = #takes, 1, -1 do
			if regions[index] then
				regions[index]:set_name (name)
				if gain then regions[index]:to_audioregion ():set_scale_amplitude (gain) end
				insert (regions[index], takes[index].track, position)
			end
		end
		Session:commit_reversible_command (nil)
	end

	local chosen = selected ()
	local wish = ask (chosen)
	if not wish then return end
	local rate = math.floor (Session:nominal_sample_rate ())
	local common = { "num_waveforms_per_prompt", math.floor (wish.takes), "sample_rate", rate }
	local name = "AudioLDM: " .. wish.prompt

	if wish.kind == "text" then
		local position = chosen.from < chosen.to and chosen.from or Session:transport_sample ()
		if chosen.from < chosen.to then
			common[#common + 1] = "audio_length_in_s"
			common[#common + 1] = string.format ("%.6f", (chosen.to - chosen.from) / rate)
		end
		local takes = render ("/ldm/text", "", wish.prompt, table.unpack (common))
		if #takes == 0 then return end
		for _, take in ipairs (takes) do take.track = new_track (name, take.channels) end
		insert_all (name, takes, position)
		return
	end

	-- An inpaint: the clip is the region, the part is what the time selection covers of it.
	local region = chosen.region
	local position, length = region:position ():samples (), region:length ():samples ()
	local from, to = position, position + length
	if chosen.from < chosen.to then
		from, to = math.max (from, chosen.from), math.min (to, chosen.to)
	end
	if from >= to then
		complain ("The time selection does not touch the selected region.")
		return
	end
	local part = string.format ("%.6f:%.6f", (from - position) / rate, (to - position) / rate)
	local clip = os.tmpname ()
	write_wav (clip, region)
	local takes = render ("/ldm/inpaint", "", wish.prompt, "clip", clip, "regions", part, table.unpack (common))
	os.remove (clip)
	if #takes == 0 then return end
	for _, take in ipairs (takes) do take.track = chosen.track end
	insert_all (name, takes, position, region:to_audioregion ():scale_amplitude ())
end end
