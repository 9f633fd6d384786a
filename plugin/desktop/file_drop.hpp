// Files that are dropped on the editor. One source a system.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace audioldm {

class FileDrop {
  public:
    /** `window`: the editor's native window. */
    explicit FileDrop(std::uintptr_t window);
    ~FileDrop();

    /** Paths that were dropped since the last call. */
    std::vector<std::string> take();

  private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace audioldm
