#include "files/wav_writer.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

namespace audioldm {

namespace {

constexpr std::uint32_t kHeaderBytes = 44, kFrameBytes = 8;

} // namespace

bool WavWriter::open(const std::string& path, std::uint32_t sampleRate) {
    file_.open(std::filesystem::u8path(path), std::ios::binary | std::ios::trunc);
    sampleRate_ = sampleRate;
    frames_ = 0;
    if (file_.is_open())
        writeHeader();
    return file_.is_open();
}

void WavWriter::write(const float* left, const float* right, std::uint32_t frames) {
    std::array<float, 512> interleaved;
    for (std::uint32_t at = 0; at < frames;) {
        const std::uint32_t count = std::min<std::uint32_t>(frames - at, interleaved.size() / 2);
        for (std::uint32_t k = 0; k < count; ++k) {
            interleaved[2 * k] = left[at + k];
            interleaved[2 * k + 1] = right[at + k];
        }
        file_.write(reinterpret_cast<const char*>(interleaved.data()),
                    std::streamsize(count) * kFrameBytes);
        at += count;
    }
    frames_ += frames;
}

bool WavWriter::close() {
    if (!file_.is_open())
        return true;
    file_.seekp(0);
    writeHeader();
    const bool good = file_.good();
    file_.close();
    return good && !file_.fail();
}

void WavWriter::writeHeader() {
    const std::uint32_t bytes = std::uint32_t(frames_ * kFrameBytes);
    std::array<unsigned char, kHeaderBytes> header{
        'R', 'I', 'F', 'F', 0, 0, 0, 0, 'W', 'A', 'V', 'E', 'f', 'm', 't', ' ', 16,  0,   0,   0,
        3,   0,   2,   0,   0, 0, 0, 0, 0,   0,   0,   0,   8,   0,   32,  0,   'd', 'a', 't', 'a'};
    const auto put = [&header](std::size_t at, std::uint32_t value) {
        for (std::size_t k = 0; k < 4; ++k)
            header[at + k] = (unsigned char)(value >> (8 * k));
    };
    put(4, kHeaderBytes - 8 + bytes);
    put(24, sampleRate_);
    put(28, sampleRate_ * kFrameBytes);
    put(40, bytes);
    file_.write(reinterpret_cast<const char*>(header.data()), header.size());
}

} // namespace audioldm
