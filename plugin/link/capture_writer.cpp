#include "link/capture_writer.hpp"

#include "files/folders.hpp"

#include <cmath>

namespace audioldm {

namespace {

constexpr double kMaxSeconds = 600;

} // namespace

void CaptureWriter::work(double sampleRate, const std::function<void(const Finished&)>& finished) {
    while (const CaptureBlock* block = ring_.front()) {
        // A loop of the host jumps back: that is another file.
        const bool gap = block->last || block->frame != nextFrame_ || seconds() >= kMaxSeconds;
        if (writer_.isOpen() && gap)
            finish(finished);
        if (!block->last) {
            if (!writer_.isOpen() && problem_.empty())
                open(*block, sampleRate);
            if (writer_.isOpen())
                writer_.write(block->left, block->right, block->count);
            nextFrame_ = block->frame + block->count;
        }
        ring_.pop();
    }
}

void CaptureWriter::open(const CaptureBlock& block, double sampleRate) {
    path_ = newSoundPath("capture");
    sampleRate_ = sampleRate;
    firstFrame_ = block.frame;
    problem_ =
        writer_.open(path_, std::uint32_t(std::lround(sampleRate))) ? "" : "cannot write " + path_;
}

void CaptureWriter::finish(const std::function<void(const Finished&)>& finished) {
    const double length = seconds();
    if (!writer_.close())
        problem_ = "the disk is full: " + path_;
    finished({path_, {firstFrame_, sampleRate_}, length, ring_.takeLost()});
}

} // namespace audioldm
