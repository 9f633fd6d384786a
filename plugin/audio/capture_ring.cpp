#include "audio/capture_ring.hpp"

namespace audioldm {

CaptureBlock* CaptureRing::claim() {
    const unsigned head = head_.load(std::memory_order_relaxed);
    return head - tail_.load(std::memory_order_acquire) == kBlocks ? nullptr
                                                                   : &blocks_[head % kBlocks];
}

void CaptureRing::write(std::int64_t frame, const float* left, const float* right,
                        std::uint32_t count) {
    for (std::uint32_t at = 0; at < count; at += CaptureBlock::kFrames) {
        const std::uint32_t part = std::min(CaptureBlock::kFrames, count - at);
        CaptureBlock* block = claim();
        if (block == nullptr) {
            lost_.fetch_add(part, std::memory_order_relaxed);
            continue;
        }
        block->frame = frame + at;
        block->count = part;
        block->last = false;
        std::memcpy(block->left, left + at, part * sizeof(float));
        std::memcpy(block->right, right + at, part * sizeof(float));
        publish();
    }
}

bool CaptureRing::end() {
    CaptureBlock* block = claim();
    if (block == nullptr)
        return false;
    block->count = 0;
    block->last = true;
    publish();
    return true;
}

const CaptureBlock* CaptureRing::front() const {
    const unsigned tail = tail_.load(std::memory_order_relaxed);
    return tail == head_.load(std::memory_order_acquire) ? nullptr : &blocks_[tail % kBlocks];
}

} // namespace audioldm
