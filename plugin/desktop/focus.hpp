// The keyboard, between the editor and the host.
#pragma once

#include <cstdint>

namespace audioldm {

/** The host gets the keys again, so that its shortcuts work. `window`: the editor's. */
void giveKeyboardBack(std::uintptr_t window);

} // namespace audioldm
