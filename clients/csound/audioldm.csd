<CsoundSynthesizer>
; Ask a running audioldm-daw for a sound, wait for it, and play it.
;
;   csound --omacro:PROMPT="rain on a tin roof" --omacro:SECONDS=4 audioldm.csd
;   csound --omacro:PROMPT="a dog barks" --omacro:CLIP=/sounds/clip.wav \
;          --omacro:REGION=1.0:2.0 audioldm.csd
;
; The second form makes a part of a clip anew (an inpaint): START:END in seconds. The clip stays
; as it is; the take is a new file.
; Add -+rtaudio=jack (or what your system has) to choose the audio module.
<CsOptions>
-odac -d -m0
</CsOptions>
<CsInstruments>
sr = 48000
ksmps = 64
nchnls = 2
0dbfs = 1

; What may be set from the command line with --omacro:NAME=VALUE.
#ifndef PROMPT
#define PROMPT #rain on a tin roof#
#end
#ifndef SECONDS
#define SECONDS #2#
#end
#ifndef PORT
#define PORT #9536#
#end
#ifndef REPLY_PORT
#define REPLY_PORT #9546#
#end

; The server keeps what belongs to an id: no two requests may share one.
seed 0
gSId sprintf "csound-%d-%d", date:i(), random:i(0, 1000000)
gkaccepted init 0
gkover init 0
gireplies OSCinit $REPLY_PORT

; Sends the request again every half second until it is accepted, five times at most.
instr 1
  ktries init 0
  ktick metro 2
  if gkaccepted == 0 && ktick == 1 then
    ktries += 1
    if ktries > 5 then
      printks "nobody answers on port %d; start audioldm-daw\n", 0, $PORT
      gkaccepted = 1
      schedulek "end", 0.1, 1
    endif
  endif
#ifdef CLIP
  OSCsend ktries, "127.0.0.1", $PORT, "/ldm/inpaint", "sssssssisi", \
    gSId, "$PROMPT", "clip", "$CLIP", "regions", "$REGION", "sample_rate", sr, \
    "reply_port", $REPLY_PORT
#else
  OSCsend ktries, "127.0.0.1", $PORT, "/ldm/text", "sssfsisi", \
    gSId, "$PROMPT", "audio_length_in_s", $SECONDS, "sample_rate", sr, \
    "reply_port", $REPLY_PORT
#end
endin

; Answers: the type strings are those of docs/osc.md.
instr 2
  Sid init ""
  Sjob init ""
  Spath init ""
  Scode init ""
  Ssentence init ""
  Swarnings init ""
  kposition, kindex, krate, kchannels, kseed, ksilent, kframes, ktakes, kstep, ksteps init 0
  kseconds, kscore init 0

  kgot OSClisten gireplies, "/ldm/job/accepted", "ssi", Sid, Sjob, kposition
  if kgot == 1 then
    gkaccepted = 1
  endif

  kgot OSClisten gireplies, "/ldm/job/progress", "ssii", Sid, Sjob, kstep, ksteps
  if kgot == 1 then
    printks "step %d of %d\n", 0, kstep, ksteps
  endif

  kgot OSClisten gireplies, "/ldm/take", "ssisfiiifiis", \
    Sid, Sjob, kindex, Spath, kseconds, krate, kchannels, kseed, kscore, ksilent, kframes, Swarnings
  if kgot == 1 then
    printks "take %d: %s\n", 0, kindex, Spath
    Sevent sprintfk {{i "play" 0 %f "%s"}}, kseconds, Spath
    scoreline Sevent, 1
    schedulek "end", kseconds + 0.1, 1
  endif

  kgot OSClisten gireplies, "/ldm/job/fail", "ssss", Sid, Sjob, Scode, Ssentence
  if kgot == 1 then
    printks "%s: %s\n", 0, Scode, Ssentence
    schedulek "end", 0.1, 1
  endif
endin

instr play
  Spath = p4
  if filenchnls(Spath) == 2 then
    aleft, aright diskin2 Spath
  else
    aleft diskin2 Spath
    aright = aleft
  endif
  printks "level %f\n", 0.25, rms(aleft)
  outs aleft, aright
endin

instr end
  exitnow
endin
</CsInstruments>
<CsScore>
i 1 0 3600
i 2 0 3600
</CsScore>
</CsoundSynthesizer>
