// One plug-in in one track: what its parts share.
#pragma once

#include "audio/capture_ring.hpp"
#include "audio/clip_slots.hpp"
#include "audio/processor.hpp"
#include "parameters.hpp"
#include "project/project.hpp"

#include <string>

namespace audioldm {

class Instance {
  public:
    ParameterValues parameters;

  private:
    ClipSlots slots_;
    CaptureRing captured_;

  public:
    Processor processor{parameters, slots_, captured_};
    Project project{slots_};

    void start() {}
    void setSampleRate(double rate);
    std::string projectText() const { return project.text(); }
    void restore(const std::string& text) { project.restore(text); }
};

} // namespace audioldm
