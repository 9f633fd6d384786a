// One line: the job that is rendered, or the last thing that was worth a sentence.
#pragma once

#include "editor/widgets/widget.hpp"
#include "link/link_view.hpp"

namespace audioldm {

class StatusLine : public Widget {
  public:
    void draw(Canvas& canvas) override;
    bool takesFocus() const override { return false; }

    LinkView link;
    /** Stands where the link has nothing to say. */
    std::string hint;
};

/** In the header: a light, and where the companion is. */
class ConnectionLight : public Widget {
  public:
    void draw(Canvas& canvas) override;
    bool takesFocus() const override { return false; }

    LinkView link;
};

} // namespace audioldm
