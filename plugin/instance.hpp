// One plug-in in one track: what its parts share.
#pragma once

#include "audio/capture_ring.hpp"
#include "audio/clip_slots.hpp"
#include "audio/processor.hpp"
#include "link/link.hpp"
#include "parameters.hpp"
#include "project/project.hpp"

#include <string>

namespace audioldm {

class Instance {
  private:
    ClipSlots slots_;
    CaptureRing captured_;

  public:
    ParameterValues parameters;
    Processor processor{parameters, slots_, captured_};
    Project project{slots_};
    // The last member: its thread ends before anything that it uses.
    Link link{parameters, project, captured_, slots_, processor.status};

    void setSampleRate(double rate);
    /** Takes up a saved project; says why where it cannot, and keeps the one that it has. */
    void restore(const std::string& text);
};

} // namespace audioldm
