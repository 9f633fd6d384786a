// Writes stereo WAV files of 32-bit float, so that a capture is equal to the bit.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace audioldm {

class WavWriter {
  public:
    ~WavWriter() { close(); }

    /** False where the file cannot be written. */
    bool open(const std::string& path, std::uint32_t sampleRate);
    bool isOpen() const { return file_.is_open(); }
    void write(const float* left, const float* right, std::uint32_t frames);
    /** Completes the header; false where something could not be written (a full disk). */
    bool close();
    std::uint64_t frames() const { return frames_; }

  private:
    void writeHeader();

    std::ofstream file_;
    std::uint32_t sampleRate_ = 0;
    std::uint64_t frames_ = 0;
};

} // namespace audioldm
