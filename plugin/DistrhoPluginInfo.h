// What DPF's wrappers ask about the plug-in.
#pragma once

#define DISTRHO_PLUGIN_BRAND "audioldm-daw"
#define DISTRHO_PLUGIN_NAME "AudioLDM"
#define DISTRHO_PLUGIN_URI "urn:audioldm-daw:plugin"
#define DISTRHO_PLUGIN_CLAP_ID "audioldm-daw.plugin"
#define DISTRHO_PLUGIN_CLAP_FEATURES "audio-effect", "sampler", "stereo"
#define DISTRHO_PLUGIN_LV2_CATEGORY "lv2:GeneratorPlugin"
#define DISTRHO_PLUGIN_VST3_CATEGORIES "Fx|Generator|Sampler|Stereo"

#define DISTRHO_PLUGIN_NUM_INPUTS 2
#define DISTRHO_PLUGIN_NUM_OUTPUTS 2
#define DISTRHO_PLUGIN_IS_RT_SAFE 1
#define DISTRHO_PLUGIN_WANT_MIDI_INPUT 1
#define DISTRHO_PLUGIN_WANT_TIMEPOS 1
#define DISTRHO_PLUGIN_WANT_STATE 1
// Takes arrive in a thread of the plug-in, so the host must ask the plug-in for its state.
#define DISTRHO_PLUGIN_WANT_FULL_STATE 1
// Without it a VST3 host makes two instances, and each would talk to the companion.
#define DISTRHO_PLUGIN_WANT_DIRECT_ACCESS 1

#define DISTRHO_PLUGIN_HAS_UI 1
#define DISTRHO_UI_USE_NANOVG 1
#define DISTRHO_UI_USER_RESIZABLE 1
#define DISTRHO_UI_FILE_BROWSER 1
#define DISTRHO_UI_DEFAULT_WIDTH 760
#define DISTRHO_UI_DEFAULT_HEIGHT 520
