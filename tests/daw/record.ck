// Run beside audioldm.ck by test_clients_chuck.py: records what is played, while it is playing.
dac => WvOut recorder => blackhole;
me.arg(0) => recorder.wavFilename;
while (Machine.shreds().size() > 1) 10::ms => now;
recorder.closeFile();
