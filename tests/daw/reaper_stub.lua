-- A stub of the part of REAPER's API that clients/reaper/audioldm.lua uses: a project in memory.
--
--   lua5.4 reaper_stub.lua SCRIPT FOLDER PORT PROGRAM FROM TO \
--     [FILE POSITION LENGTH OFFSET RATE [LOOPS [SECTION_START SECTION_LENGTH]]]
--
-- Runs SCRIPT with a time selection and perhaps a selected item, then its deferred functions until
-- there are none, and prints the project. It proves the script's logic, not REAPER's behaviour.

local script, folder, port, program, from, to = table.unpack(arg)
local tracks, items, depth, help = {}, {}, 0, nil
local deferred = {}

local function tell(...) print(table.concat({ ... }, "\t")) end

-- What changes the project is only allowed within an undo block: REAPER would allow it, but then
-- one undo would not take everything away.
local function change() assert(depth == 1, "a change outside of an undo block") end

local function new_item(track)
  local item = { track = track, takes = {}, active = 1, D_POSITION = 0, D_LENGTH = 0, B_LOOPSRC = 1 }
  items[#items + 1] = item
  return item
end

local function new_take(item)
  local take = { name = "", D_STARTOFFS = 0, D_PLAYRATE = 1, B_PPITCH = 1, D_PITCH = 0, D_VOL = 1, D_PAN = 0 }
  item.takes[#item.takes + 1] = take
  return take
end

local function index_of(list, wanted)
  for index, value in ipairs(list) do if value == wanted then return index end end
end

local api = {}
function api.GetExtState(_, key) return ({ program = program, port = port })[key] or "" end
function api.SetExtState(_, key, value) tell("remembered", key, value) end
function api.GetOS() return "Other" end
function api.ShowMessageBox(sentence) tell("message", (sentence:gsub("\n", " "))) end
function api.Help_Set(text) if text ~= "" then help = text end end
function api.GetSet_LoopTimeRange(set)
  assert(not set, "the time selection is left alone")
  return tonumber(from), tonumber(to)
end
function api.GetCursorPosition() return 1.5 end
function api.GetProjectPath() return folder end
function api.GetSetProjectInfo(_, key) return ({ PROJECT_SRATE = 44100 })[key] end
function api.GetUserInputs(title, count, captions, values)
  tell("title", title)
  assert(count == 2 and captions:find("separator=\n", 1, true) and values:find("\n", 1, true))
  return true, os.getenv("PROMPT") .. "\n2"
end
function api.GetSelectedMediaItem(_, index) return index == 0 and items.selected or nil end
function api.GetActiveTake(item) return item.takes[item.active] end
function api.TakeIsMIDI() return false end
function api.GetMediaItemTake_Source(take) return take.source end
function api.GetMediaSourceParent(source) return source.parent end
function api.GetMediaSourceFileName(source) return source.path or "" end
function api.GetMediaSourceLength(source) return source.length, false end
function api.PCM_Source_GetSectionInfo(source)
  return source.section ~= nil, source.section or 0, source.length, false
end
function api.GetMediaItemInfo_Value(item, key) return assert(item[key], key) end
function api.SetMediaItemInfo_Value(item, key, value) change() item[key] = value end
function api.GetMediaItemTakeInfo_Value(take, key) return assert(take[key], key) end
function api.SetMediaItemTakeInfo_Value(take, key, value) change() take[key] = value end
function api.GetSetMediaItemTakeInfo_String(take, key, value, set)
  assert(key == "P_NAME" and set)
  change()
  take.name = value
end
function api.GetSetMediaTrackInfo_String(track, key, value, set)
  assert(key == "P_NAME" and set)
  change()
  track.name = value
end
function api.CountTracks() return #tracks end
function api.GetTrack(_, index) return tracks[index + 1] end
function api.InsertTrackAtIndex(index) change() table.insert(tracks, index + 1, { name = "" }) end
function api.AddMediaItemToTrack(track) change() return new_item(track) end
function api.AddTakeToMediaItem(item) change() return new_take(item) end
function api.PCM_Source_CreateFromFile(path)
  local file = assert(io.open(path, "rb"), path)
  local bytes = file:read("a")
  file:close()
  local bytes_a_second = string.unpack("<I4", bytes, 29)
  local size = string.unpack("<I4", bytes, bytes:find("data", 1, true) + 4)
  return { path = path, length = size / bytes_a_second }
end
function api.SetMediaItemTake_Source(take, source) change() take.source = source end
function api.SetActiveTake(take)
  change()
  for _, item in ipairs(items) do item.active = index_of(item.takes, take) or item.active end
end
function api.ValidatePtr2(_, item, kind) return kind == "MediaItem*" and index_of(items, item) ~= nil end
function api.Undo_BeginBlock2() depth = depth + 1 end
function api.Undo_EndBlock2(_, name) depth = depth - 1 tell("undo", name) end
function api.UpdateArrange() end
function api.ExecProcess(command, wait)
  assert(wait == -1, "the user interface must not wait")
  os.execute(command .. " &")
  return "0"
end
function api.defer(run) deferred[#deferred + 1] = run end

reaper = setmetatable({}, { __index = function(_, name)
  return api[name] or error("not in the stub of REAPER's API: " .. name, 2)
end })

tracks[1] = { name = "drums" }
if arg[7] then
  local item = new_item(tracks[1])
  item.D_POSITION, item.D_LENGTH = tonumber(arg[8]), tonumber(arg[9])
  local take = new_take(item)
  take.name, take.D_VOL, take.D_PITCH = "original", 0.5, 3
  take.D_STARTOFFS, take.D_PLAYRATE = tonumber(arg[10]), tonumber(arg[11])
  item.B_LOOPSRC = tonumber(arg[12] or 1)
  local length = api.PCM_Source_CreateFromFile(arg[7]).length
  -- A section of a file, as long as the file unless it is said.
  local section = tonumber(arg[13])
  take.source = { parent = { path = arg[7], length = length }, section = section, length = tonumber(arg[14]) or length }
  items.selected = item
end

dofile(script)
local rounds = 0
while #deferred > 0 do
  rounds = rounds + 1
  assert(rounds < 600, "it does not end")
  os.execute("sleep 0.05")
  local now = deferred
  deferred = {}
  for _, run in ipairs(now) do run() end
end

tell("help", help or "")
for index, track in ipairs(tracks) do tell("track", index, track.name) end
for _, item in ipairs(items) do
  tell("item", index_of(tracks, item.track), item.D_POSITION, item.D_LENGTH, item.active)
  for _, take in ipairs(item.takes) do
    local path = take.source.path or take.source.parent.path
    tell("take", take.name, take.D_STARTOFFS, take.D_PLAYRATE, take.D_VOL, take.D_PITCH, path)
  end
end
