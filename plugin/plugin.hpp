// The plug-in as DPF knows it.
#pragma once

#include "DistrhoPlugin.hpp"
#include "instance.hpp"

START_NAMESPACE_DISTRHO

class AudioLdmPlugin : public Plugin {
  public:
    AudioLdmPlugin();

    audioldm::Instance& instance() { return instance_; }

  protected:
    const char* getLabel() const override { return "audioldm"; }
    const char* getDescription() const override;
    const char* getMaker() const override { return "audioldm-daw"; }
    const char* getLicense() const override { return "https://spdx.org/licenses/Apache-2.0"; }
    uint32_t getVersion() const override;
    int64_t getUniqueId() const override { return d_cconst('A', 'L', 'd', 'm'); }

    void initAudioPort(bool input, uint32_t index, AudioPort& port) override;
    void initParameter(uint32_t index, Parameter& parameter) override;
    void initState(uint32_t index, State& state) override;

    float getParameterValue(uint32_t index) const override;
    void setParameterValue(uint32_t index, float value) override;
    String getState(const char* key) const override;
    void setState(const char* key, const char* value) override;

    void activate() override;
    void sampleRateChanged(double rate) override;
    void run(const float** inputs, float** outputs, uint32_t frames, const MidiEvent* events,
             uint32_t numEvents) override;

  private:
    audioldm::Instance instance_;

    DISTRHO_DECLARE_NON_COPYABLE_WITH_LEAK_DETECTOR(AudioLdmPlugin)
};

END_NAMESPACE_DISTRHO
