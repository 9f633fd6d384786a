// Ask a running audioldm-daw for a sound, wait for it, and play it.
//
//   chuck "audioldm.ck:rain on a tin roof"
//   chuck "audioldm.ck:rain on a tin roof:4"                    four seconds
//   chuck "audioldm.ck:a dog barks:1.0-2.0:/sounds/clip.wav"    that part of the clip made anew
//
// The clip stays as it is; every take is a new file. AUDIOLDM_OSC_PORT names another port.

class AudioLDM
{
    9536 => int port;
    OscOut out;
    OscIn in;
    OscMsg message;
    string id;
    string path;
    string problem;
    0 => int accepted;
    0 => int over;

    // Answers come to a port of our own, because ChucK sends from a random one.
    fun void connect(int replyPort)
    {
        replyPort => in.port;
        in.listenAll();
        out.dest("127.0.0.1", port);
    }

    // One submission: the words that all of them begin and end with.
    fun void begin(string address, string prompt)
    {
        out.start(address);
        out.add(id);
        out.add(prompt);
        out.add("sample_rate");
        out.add((second / samp) $ int);
    }

    fun void send(string prompt, string clip, string region, float seconds)
    {
        if (clip != "")
        {
            begin("/ldm/inpaint", prompt);
            out.add("clip"); out.add(clip);
            out.add("regions"); out.add(region);
        }
        else
        {
            begin("/ldm/text", prompt);
            if (seconds > 0) { out.add("audio_length_in_s"); out.add(seconds); }
        }
        out.add("reply_port"); out.add(in.port());
        out.send();
    }

    // Until the take is there or it has failed; sent again until accepted, five times at most.
    fun void render(string prompt, string clip, string region, float seconds)
    {
        // The server keeps what belongs to an id, so no two requests may share one; ChucK's
        // random numbers alone are the same for all programs that start within a second.
        "chuck-" + Math.random() + "-" + hash(prompt + clip + region) => id;
        spork ~ listen();
        for (0 => int tries; tries < 5 && !accepted && !over; tries++)
        {
            send(prompt, clip, region, seconds);
            for (0 => int i; i < 50 && !accepted && !over; i++) 10::ms => now;
        }
        if (!accepted && !over)
        {
            "nobody answers on port " + port + "; start audioldm-daw" => problem;
            1 => over;
        }
        while (!over) 10::ms => now;
    }

    fun int hash(string text)
    {
        0 => int h;
        for (0 => int i; i < text.length(); i++) (h * 31 + text.charAt(i)) & 0xffffff => h;
        return h;
    }

    fun void listen()
    {
        while (!over)
        {
            in => now;
            while (in.recv(message))
                if (message.numArgs() > 0 && message.typetag.charAt(0) == 's'
                    && message.getString(0) == id) answered();
        }
    }

    fun void answered()
    {
        1 => accepted;
        if (message.address == "/ldm/job/progress")
            <<< "step", message.getInt(2), "of", message.getInt(3) >>>;
        else if (message.address == "/ldm/take")
            message.getString(3) => path;
        else if (message.address == "/ldm/job/done")
            1 => over;
        else if (message.address == "/ldm/job/fail")
        {
            message.getString(2) + ": " + message.getString(3) => problem;
            1 => over;
        }
    }
}

"rain on a tin roof" => string prompt;
if (me.args() > 0) me.arg(0) => prompt;
"" => string region;
"" => string clip;
0.0 => float seconds;
if (me.args() > 2)
{
    me.arg(2) => clip;
    me.arg(1) => region;
    region.find("-") => int dash;
    region.substring(0, dash) + ":" + region.substring(dash + 1) => region;
}
else if (me.args() > 1) Std.atof(me.arg(1)) => seconds;

AudioLDM ldm;
if (Std.getenv("AUDIOLDM_OSC_PORT") != "") Std.atoi(Std.getenv("AUDIOLDM_OSC_PORT")) => ldm.port;
ldm.connect(9547);
ldm.render(prompt, clip, region, seconds);
if (ldm.problem != "")
{
    <<< ldm.problem, "" >>>;
    me.exit();
}
<<< "take", ldm.path >>>;

SndBuf player => dac;
ldm.path => player.read;
<<< "frames", player.samples(), "at", (second / samp) $ int >>>;
0 => player.pos;
player.length() => now;
