-- ardour7-lua new_session.lua FOLDER NAME TYPE CHANNELS
-- A session with the plug-in on a track, which renders one bar and is saved.
local folder, name, kind, channels = arg[1], arg[2], arg[3], tonumber (arg[4])
AudioEngine:set_backend ("None (Dummy)", "test", "")
AudioEngine:set_device_name ("Silence")
local session = assert (create_session (folder, name, 48000))
local tracks = session:new_audio_track (channels, 2, nil, 1, "sounds",
	ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
local plugin = ARDOUR.LuaAPI.new_plugin (session, "AudioLDM", ARDOUR.PluginType[kind], "")
assert (not plugin:isnil (), "Ardour knows no plug-in AudioLDM of type " .. kind)
tracks:front ():add_processor_by_index (plugin, 0, nil, true)

local GENERATE, BARS, CONNECTED, TAKES = 0, 9, 15, 17
local function set (index, value) ARDOUR.LuaAPI.set_processor_param (plugin, index, value) end
local function await (index, what)
	for _ = 1, 300 do
		local value = ARDOUR.LuaAPI.get_processor_param (plugin, index, true)
		if value > 0.5 then return end
		os.execute ("sleep 0.1")
	end
	error ("waited in vain for " .. what)
end

await (CONNECTED, "the companion")
set (BARS, 1)
os.execute ("sleep 0.3")
set (GENERATE, 1)
await (TAKES, "a take")
set (GENERATE, 0)
os.execute ("sleep 0.3")
session:save_state ("", false, false, false, false, false)
close_session ()
print ("saved")
quit ()
