-- ardour7-lua new_session.lua FOLDER
AudioEngine:set_backend ("None (Dummy)", "tests", "")
local session = create_session (arg[1], "session", 48000)
assert (session, "no session")
session:save_state ("", false, false, false, false, false)
close_session ()
quit ()
