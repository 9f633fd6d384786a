// Sound from words, through a running audioldm-daw.
AudioLDM {
	classvar default;
	var <addr;

	*new { |host = "127.0.0.1", port = 9536|
		^super.newCopyArgs(NetAddr(host, port))
	}

	*default {
		^default ?? { default = this.new }
	}

	*default_ { |server| default = server }

	// --- requests: settings are [\name, value, ...]; onDone gets the takes, onFail code and sentence

	text { |prompt, settings, onDone, onFail|
		^this.submit(\text, prompt, settings, onDone, onFail)
	}

	morph { |prompt, settings, onDone, onFail|
		^this.submit(\morph, prompt, settings, onDone, onFail)
	}

	// start and end in seconds within the clip; the clip itself stays as it is
	inpaint { |clip, start, end, prompt = "", settings, onDone, onFail|
		var regions = start.asString ++ ":" ++ end.asString;
		^this.prWithClip(\inpaint, clip, prompt, [\regions, regions] ++ settings, onDone, onFail)
	}

	transfer { |clip, prompt = "", settings, onDone, onFail|
		^this.prWithClip(\transfer, clip, prompt, settings, onDone, onFail)
	}

	continue { |clip, prompt = "", settings, onDone, onFail|
		^this.prWithClip(\continue, clip, prompt, settings, onDone, onFail)
	}

	upscale { |clip, prompt = "", settings, onDone, onFail|
		^this.prWithClip(\upscale, clip, prompt, settings, onDone, onFail)
	}

	vary { |clip, prompt = "", settings, onDone, onFail|
		^this.prWithClip(\vary, clip, prompt, settings, onDone, onFail)
	}

	submit { |kind, prompt, settings, onDone, onFail|
		^AudioLDMRequest(addr, kind, prompt, settings, onDone, onFail).send
	}

	prWithClip { |kind, clip, prompt, settings, onDone, onFail|
		^this.submit(kind, prompt, [\clip, this.prPath(clip)] ++ settings, onDone, onFail)
	}

	// a path, an AudioLDMTake, or a Buffer or SoundFile that was read from a file
	prPath { |clip|
		if (clip.isString or: { clip.isKindOf(Symbol) }) { ^clip.asString.standardizePath };
		^clip.path ?? { Error("a Buffer without a file: write it to one first").throw }
	}
}

// A finished file.
AudioLDMTake {
	var <index, <path, <seconds, <sampleRate, <numChannels, <seed, <score, <silent, <frames, <warnings;

	*fromOSC { |index, path, seconds, sampleRate, numChannels, seed, score, silent = 0, frames = 0, warnings = ""|
		var measured = if (score >= -1) { score };  // below: it was not measured
		^super.newCopyArgs(
			index, path.asString, seconds, sampleRate, numChannels, seed, measured, silent != 0,
			frames, warnings.asString
		)
	}

	buffer { |server, action|
		^Buffer.read(server ? Server.default, path, action: action)
	}
}

// A request on its way; sent again until the server has accepted it.
AudioLDMRequest {
	classvar <>resendTime = 0.5, <>maxSends = 5;
	var addr, kind, prompt, settings, onDone, onFail;
	var <id, <state = \new, <takes, <step = 0, <numSteps = 0, <>onProgress, responders;

	*new { |addr, kind, prompt, settings, onDone, onFail|
		^super.newCopyArgs(addr, kind, prompt, settings, onDone, onFail).init
	}

	init {
		// A repeated id would be answered with the old job, so no two sessions may share one.
		id = "sc-%-%".format(Date.getDate.rawSeconds.asInteger, 2147483647.rand);
		takes = List[];
	}

	send {
		state = \sent;
		this.prListen;
		fork {
			var sends = 0;
			while { (state == \sent) and: { sends < maxSends } } {
				addr.sendMsg("/ldm/" ++ kind, id, prompt.asString, *settings);
				sends = sends + 1;
				resendTime.wait;
			};
			if (state == \sent) {
				this.prFail(\engine_unavailable,
					"nobody answers at %:%; start audioldm-daw".format(addr.ip, addr.port))
			}
		}
	}

	cancel {
		if (this.isOpen) { addr.sendMsg("/ldm/job/cancel", id) }
	}

	isOpen { ^#[\sent, \accepted].includes(state) }

	prListen {
		responders = [
			this.prOn('/ldm/job/accepted', { if (state == \sent) { state = \accepted } }),
			this.prOn('/ldm/job/progress', { |jobId, stepNow, stepsInAll|
				step = stepNow;
				numSteps = stepsInAll;
				onProgress.value(step, numSteps)
			}),
			this.prOn('/ldm/take', { |jobId ... fields|
				var take = AudioLDMTake.fromOSC(*fields);
				// A repeated request is told everything once more.
				if (takes.any { |known| known.index == take.index }.not) { takes.add(take) }
			}),
			this.prOn('/ldm/job/done', { this.prEnd(\done); onDone.value(takes.asArray) }),
			this.prOn('/ldm/job/fail', { |jobId, code, sentence| this.prFail(code, sentence) })
		]
	}

	prOn { |path, function|
		var respond = { |message| if (this.isOpen) { function.value(*message[2..]) } };
		// Permanent: stopping all sound with Cmd-. does not forget what is being rendered.
		^OSCFunc(respond, path, addr, argTemplate: [id.asSymbol]).permanent_(true)
	}

	prFail { |code, sentence|
		this.prEnd(if (code == \cancelled) { \cancelled } { \failed });
		if (onFail.notNil) { onFail.value(code.asSymbol, sentence.asString) } {
			"AudioLDM: % (%)".format(sentence, code).warn
		}
	}

	prEnd { |finalState|
		state = finalState;
		responders.do(_.free)
	}
}
