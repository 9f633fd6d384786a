-- Sound from words: sends the selection and a prompt to a running audioldm-daw and inserts takes.
--
-- A selected item is made anew within the time selection (without one, all of it) and the results
-- are added to it as takes. Without a selected item, the time selection becomes an item on a new
-- track. Nothing is overwritten, and one undo takes it away.

-- The command that talks to audioldm-daw. REAPER may not know your shell's PATH: then write the
-- full path here, as `which audioldm-osc` prints it.
local PROGRAM = reaper.GetExtState("AudioLDM", "program")
if PROGRAM == "" then PROGRAM = "audioldm-osc" end
local PORT = reaper.GetExtState("AudioLDM", "port")
if PORT == "" then PORT = "9536" end
local WINDOWS = reaper.GetOS():sub(1, 3) == "Win"

local function complain(sentence)
  reaper.ShowMessageBox(sentence, "AudioLDM", 0)
end

-- --- what is selected

local function clip_of(item)
  local take = reaper.GetActiveTake(item)
  if not take or reaper.TakeIsMIDI(take) then return nil, "Select an item with audio." end
  local source = reaper.GetMediaItemTake_Source(take)
  local length, section, reversed = reaper.GetMediaSourceLength(source), 0, false
  local is_section, found, start, _, backwards = pcall(function() return reaper.PCM_Source_GetSectionInfo(source) end)
  if is_section and found then section, reversed = start, backwards end
  if reversed then return nil, "The item plays backwards; glue it first." end
  local whole = reaper.GetMediaSourceParent(source)
  while whole do source, whole = whole, reaper.GetMediaSourceParent(whole) end
  local path = reaper.GetMediaSourceFileName(source, "")
  if path == "" then return nil, "The item has no file; glue or render it first." end
  local position = reaper.GetMediaItemInfo_Value(item, "D_POSITION")
  return {
    item = item, take = take, path = path, position = position,
    finish = position + reaper.GetMediaItemInfo_Value(item, "D_LENGTH"),
    offset = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS"),
    rate = reaper.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE"),
    length = length or reaper.GetMediaSourceLength(source), section = section,
    loops = reaper.GetMediaItemInfo_Value(item, "B_LOOPSRC") == 1,
  }
end

local function region(clip, from, to)
  return string.format("%.6f:%.6f", clip.section + from, clip.section + to)
end

-- The selected part as regions of the file, and what to say about it; nil where there is none.
-- An item longer than its source plays it again and again: what is made anew sounds in each pass.
local function part_of(clip, from, to)
  if from >= to then from, to = clip.position, clip.finish end
  from, to = math.max(from, clip.position), math.min(to, clip.finish)
  if from >= to then return nil, "The time selection does not touch the selected item." end
  from = clip.offset + (from - clip.position) * clip.rate
  to = clip.offset + (to - clip.position) * clip.rate
  if from >= 0 and to <= clip.length + 1e-6 then return region(clip, from, to), "" end
  if not clip.loops then
    local first, last = math.max(0, from), math.min(to, clip.length)
    if first >= last then return nil, "The file does not reach the time selection; there is nothing to make anew." end
    return region(clip, first, last), ", as far as the file reaches"
  end
  if to - from >= clip.length then return region(clip, 0, clip.length), ", in every pass" end
  local first, last = from % clip.length, to % clip.length
  if first < last then return region(clip, first, last), ", in every pass" end
  local seam = region(clip, first, clip.length)
  return last > 0 and seam .. ", " .. region(clip, 0, last) or seam, ", on both sides of the seam"
end

-- --- the job: a program in the background that writes its answers into a file

local function quoted(word)
  word = tostring(word)
  if WINDOWS then return '"' .. word:gsub('"', "'"):gsub("%%", "%%%%") .. '"' end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function start(words)
  local base = os.tmpname()
  local answers = base .. ".txt"
  local script = base .. (WINDOWS and ".bat" or ".sh")
  local line = { quoted(PROGRAM), "--port", quoted(PORT), "--" }
  for _, word in ipairs(words) do line[#line + 1] = quoted(word) end
  local file = assert(io.open(script, "w"))
  if WINDOWS then file:write("@echo off\r\nchcp 65001 >nul\r\n") end
  file:write(table.concat(line, " "), " > ", quoted(answers), " 2>&1\n", "echo over >> ", quoted(answers), "\n")
  file:close()
  local shell = WINDOWS and "cmd.exe /c " or "/bin/sh "
  reaper.ExecProcess(shell .. '"' .. script .. '"', WINDOWS and -2 or -1)
  return { answers = answers, files = { base, script, answers } }
end

local function read(job)
  local takes, said, over, warnings = {}, "", false, ""
  local file = io.open(job.answers, "r")
  if not file then return takes, said, over, warnings end
  for line in file:lines() do
    local words = {}
    for word in (line .. "\t"):gmatch("(.-)\t") do words[#words + 1] = word end
    if words[1] == "/ldm/job/progress" then
      reaper.Help_Set("AudioLDM: step " .. words[4] .. " of " .. words[5], true)
    elseif words[1] == "/ldm/take" then
      takes[#takes + 1] = words[5]
      if (words[13] or "") ~= "" then warnings = warnings .. "take " .. #takes .. ": " .. words[13] .. " " end
    elseif line:match("^over%s*$") then
      over = true
    elseif line:sub(1, 1) ~= "/" then
      said = said .. line .. "\n"
    end
  end
  file:close()
  return takes, said, over, warnings
end

-- --- inserting

-- The project keeps a file of its own, beside its recordings.
local function kept(path)
  local folder = reaper.GetProjectPath("")
  local name = path:match("[^/\\]+$")
  local target = folder .. (WINDOWS and "\\" or "/") .. name
  local from = folder ~= "" and io.open(path, "rb")
  if not from then return path end
  local to = io.open(target, "wb")
  if to then
    to:write(from:read("a"))
    to:close()
  end
  from:close()
  return to and target or path
end

local function add_take(item, path, name)
  local take = reaper.AddTakeToMediaItem(item)
  local source = reaper.PCM_Source_CreateFromFile(kept(path))
  reaper.SetMediaItemTake_Source(take, source)
  reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", name, true)
  return take, source
end

local function insert_takes(clip, paths, name)
  local best
  for _, path in ipairs(paths) do
    local take = add_take(clip.item, path, name)
    for _, value in ipairs({ "D_STARTOFFS", "D_PLAYRATE", "B_PPITCH", "D_PITCH", "D_VOL", "D_PAN" }) do
      reaper.SetMediaItemTakeInfo_Value(take, value, reaper.GetMediaItemTakeInfo_Value(clip.take, value))
    end
    best = best or take
  end
  reaper.SetActiveTake(best)
end

local function insert_item(position, length, paths, name)
  local index = reaper.CountTracks(0)
  reaper.InsertTrackAtIndex(index, true)
  local track = reaper.GetTrack(0, index)
  reaper.GetSetMediaTrackInfo_String(track, "P_NAME", name, true)
  local item = reaper.AddMediaItemToTrack(track)
  reaper.SetMediaItemInfo_Value(item, "D_POSITION", position)
  local best
  for _, path in ipairs(paths) do
    local take, source = add_take(item, path, name)
    if not best then
      best = take
      length = length > 0 and length or reaper.GetMediaSourceLength(source)
      reaper.SetMediaItemInfo_Value(item, "D_LENGTH", length)
    end
  end
  reaper.SetActiveTake(best)
end

-- --- selection out, job, takes in

local from, to = reaper.GetSet_LoopTimeRange(false, false, 0, 0, false)
local item = reaper.GetSelectedMediaItem(0, 0)
local clip, problem, part, about
if item then
  clip, problem = clip_of(item)
  if not clip then return complain(problem) end
  part, about = part_of(clip, from, to)
  if not part then return complain(about) end
end

local title = clip and "AudioLDM: make it anew" .. about or "AudioLDM: a new sound"
local before = reaper.GetExtState("AudioLDM", "prompt") .. "\n1"
local agreed, answer = reaper.GetUserInputs(title, 2, "Prompt,Takes,extrawidth=240,separator=\n", before)
if not agreed then return end
local prompt, takes = answer:match("^(.*)\n(.*)$")
reaper.SetExtState("AudioLDM", "prompt", prompt, true)
takes = math.max(1, math.floor(tonumber(takes) or 1))

local words = { clip and "/ldm/inpaint" or "/ldm/text", "", prompt, "num_waveforms_per_prompt", takes }
local function add(...) for _, word in ipairs({ ... }) do words[#words + 1] = word end end
if clip then
  add("clip", clip.path, "regions", part)
else
  add("sample_rate", math.floor(reaper.GetSetProjectInfo(0, "PROJECT_SRATE", 0, false)))
  if words[#words] == 0 then words[#words] = 48000 end
  if from < to then add("audio_length_in_s", string.format("%.6f", to - from)) end
end
local position = from < to and from or reaper.GetCursorPosition()
local name = "AudioLDM: " .. prompt
local job = start(words)

local function insert(paths)
  if clip and not reaper.ValidatePtr2(0, clip.item, "MediaItem*") then
    return complain("The item is gone; the takes are here:\n" .. table.concat(paths, "\n"))
  end
  reaper.Undo_BeginBlock2(0)
  if clip then insert_takes(clip, paths, name) else insert_item(position, to - from, paths, name) end
  reaper.Undo_EndBlock2(0, name, -1)
  reaper.UpdateArrange()
end

local function wait()
  local paths, said, over, warnings = read(job)
  if not over then return reaper.defer(wait) end
  reaper.Help_Set(warnings ~= "" and "AudioLDM: " .. warnings or "", false)
  for _, file in ipairs(job.files) do os.remove(file) end
  if #paths > 0 then return insert(paths) end
  complain(said ~= "" and said or PROGRAM .. " says nothing; is it installed?")
end
wait()
