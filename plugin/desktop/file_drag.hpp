// Drags a file out of the editor, for the host to drop on a track. One source a system.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace audioldm {

class FileDrag {
  public:
    /** `window`: the editor's native window. */
    explicit FileDrag(std::uintptr_t window);
    ~FileDrag();

    /** Called while the button is down. False where this system cannot do it now. */
    bool begin(const std::string& path);

  private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace audioldm
