#include "audio/clip_slots.hpp"

#include <algorithm>

namespace audioldm {

ClipSlots::~ClipSlots() {
    for (auto& slot : slots_)
        delete slot.load();
    for (const Retired& retired : retired_)
        delete retired.clip;
}

void ClipSlots::publish(int number, std::unique_ptr<const Clip> clip) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const Clip* old = slots_[std::size_t(number)].exchange(clip.release());
    if (old != nullptr)
        retired_.push_back({old, entered_.load()});
    collectLocked();
}

void ClipSlots::collect() {
    const std::lock_guard<std::mutex> lock(mutex_);
    collectLocked();
}

// The exchange above and the counter are sequentially consistent: an audio thread that was outside
// when a clip was retired, or has left since, sees the new pointer when it enters again.
void ClipSlots::collectLocked() {
    const std::uint64_t now = entered_.load();
    const auto held = [now](const Retired& r) { return r.entered % 2 == 1 && r.entered == now; };
    const auto free = std::partition(retired_.begin(), retired_.end(), held);
    std::for_each(free, retired_.end(), [](const Retired& r) { delete r.clip; });
    retired_.erase(free, retired_.end());
}

} // namespace audioldm
