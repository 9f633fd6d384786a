// Writes what the audio thread captured into files, one for each run of the song.
#pragma once

#include "audio/capture_ring.hpp"
#include "files/wav_writer.hpp"
#include "project/project_data.hpp"

#include <functional>
#include <string>

namespace audioldm {

class CaptureWriter {
  public:
    struct Finished {
        std::string path;
        SongPosition anchor;
        double seconds;
        /** Frames that got lost because the disk was too slow; they are missing at the end. */
        std::uint32_t lost;
    };

    explicit CaptureWriter(CaptureRing& ring) : ring_(ring) {}

    /** Writes what has arrived. */
    void work(double sampleRate, const std::function<void(const Finished&)>& finished);
    /** Tries again where a file could not be written. */
    void forgetProblem() { problem_.clear(); }
    bool isOpen() const { return writer_.isOpen(); }
    double seconds() const { return isOpen() ? double(writer_.frames()) / sampleRate_ : 0; }
    /** Why nothing can be captured; empty: it can. */
    const std::string& problem() const { return problem_; }

  private:
    void open(const CaptureBlock& block, double sampleRate);
    void finish(const std::function<void(const Finished&)>& finished);

    CaptureRing& ring_;
    WavWriter writer_;
    std::string path_, problem_;
    double sampleRate_ = 48000;
    std::int64_t firstFrame_ = 0, nextFrame_ = 0;
};

} // namespace audioldm
