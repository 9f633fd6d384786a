#include "files/wav_reader.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace audioldm {

namespace {

enum : std::uint16_t { kPcm = 1, kFloat = 3, kExtensible = 0xFFFE };

struct Format {
    std::uint16_t encoding = 0, channels = 0, bits = 0;
    std::uint32_t sampleRate = 0;

    std::size_t sampleBytes() const { return bits / 8u; }
    std::uint64_t maxBytes() const {
        return std::uint64_t(kMaxMinutes) * 60 * sampleRate * frameBytes();
    }
    std::size_t frameBytes() const { return sampleBytes() * channels; }
    bool isReadable() const {
        const bool pcm = encoding == kPcm && (bits == 8 || bits == 16 || bits == 24 || bits == 32);
        return channels > 0 && sampleRate > 0 &&
               (pcm || (encoding == kFloat && (bits == 32 || bits == 64)));
    }
};

std::uint32_t littleEndian(const std::uint8_t* bytes, int count) {
    std::uint32_t value = 0;
    for (int k = 0; k < count; ++k)
        value |= std::uint32_t(bytes[k]) << (8 * k);
    return value;
}

Format parseFormat(const std::vector<std::uint8_t>& chunk) {
    Format format;
    if (chunk.size() < 16)
        return format;
    format.encoding = std::uint16_t(littleEndian(&chunk[0], 2));
    format.channels = std::uint16_t(littleEndian(&chunk[2], 2));
    format.sampleRate = littleEndian(&chunk[4], 4);
    format.bits = std::uint16_t(littleEndian(&chunk[14], 2));
    if (format.encoding == kExtensible && chunk.size() >= 26)
        format.encoding = std::uint16_t(littleEndian(&chunk[24], 2));
    return format;
}

float pcmSample(const std::uint8_t* bytes, int bits) {
    if (bits == 8)
        return float(bytes[0] - 128) / 128.0f;
    // Shifted up, so that the sign bit is the sign of the 32-bit integer.
    const std::uint32_t shifted = littleEndian(bytes, bits / 8) << (32 - bits);
    return float(double(std::int32_t(shifted)) / 2147483648.0);
}

float sampleOf(const std::uint8_t* bytes, const Format& format) {
    if (format.encoding == kPcm)
        return pcmSample(bytes, format.bits);
    if (format.bits == 64) {
        double value;
        std::memcpy(&value, bytes, sizeof value);
        return float(value);
    }
    float value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

Sound decode(const std::vector<std::uint8_t>& data, const Format& format) {
    Sound sound;
    sound.sampleRate = format.sampleRate;
    const std::size_t frames = data.size() / format.frameBytes();
    const auto readChannel = [&](std::vector<float>& to, std::size_t channel) {
        to.resize(frames);
        const std::uint8_t* from = data.data() + channel * format.sampleBytes();
        for (std::size_t k = 0; k < frames; ++k, from += format.frameBytes())
            to[k] = sampleOf(from, format);
    };
    readChannel(sound.left, 0);
    if (format.channels > 1)
        readChannel(sound.right, 1);
    return sound;
}

/** The next chunk's bytes; a file that ends early gives what there is. */
std::vector<std::uint8_t> readChunk(std::istream& file, std::uint32_t size,
                                    std::uint64_t fileSize) {
    std::vector<std::uint8_t> bytes(std::size_t(std::min<std::uint64_t>(size, fileSize)));
    file.read(reinterpret_cast<char*>(bytes.data()), std::streamsize(bytes.size()));
    bytes.resize(std::size_t(file.gcount()));
    return bytes;
}

} // namespace

Sound readWav(const std::string& path) {
    const std::filesystem::path name = std::filesystem::u8path(path);
    std::ifstream file(name, std::ios::binary);
    std::error_code error;
    const std::uint64_t fileSize = std::filesystem::file_size(name, error);
    std::uint8_t header[12];
    if (error || !file.read(reinterpret_cast<char*>(header), sizeof header))
        throw FileError("cannot read " + path);
    if (std::memcmp(header, "RIFF", 4) != 0 || std::memcmp(header + 8, "WAVE", 4) != 0)
        throw FileError("not a WAV file: " + path);
    Format format;
    while (file.read(reinterpret_cast<char*>(header), 8)) {
        const std::uint32_t size = littleEndian(header + 4, 4);
        if (std::memcmp(header, "fmt ", 4) == 0) {
            format = parseFormat(readChunk(file, size, fileSize));
            file.seekg(size & 1, std::ios::cur);
        } else if (std::memcmp(header, "data", 4) == 0) {
            if (!format.isReadable())
                throw FileError("an encoding that is not read: " + path);
            if (std::min<std::uint64_t>(size, fileSize) > format.maxBytes())
                throw FileError("longer than " + std::to_string(kMaxMinutes) +
                                " minutes, cut it first: " + path);
            return decode(readChunk(file, size, fileSize), format);
        } else {
            file.seekg(std::streamoff(size) + (size & 1), std::ios::cur);
        }
    }
    throw FileError("no samples in " + path);
}

} // namespace audioldm
