// The takes, the newest on top. Rows are chosen, and dragged out of the window.
#pragma once

#include "editor/widgets/widget.hpp"
#include "project/project.hpp"

#include <functional>
#include <string>
#include <vector>

namespace audioldm {

class TakeList : public Widget {
  public:
    struct Listener {
        std::function<void(int)> chosen;
        std::function<void(int)> auditioned;
        std::function<void(int)> removed;
        /** The pointer leaves the row with the button down. */
        std::function<void(const std::string&)> draggedOut;
    };

    explicit TakeList(Listener listener) : listener_(std::move(listener)) {}

    void draw(Canvas& canvas) override;
    bool press(const MousePress& press) override;
    void drag(Spot at) override;
    void release(Spot) override { pressed_ = 0; }
    bool scroll(Spot at, float by) override;
    bool key(const KeyPress& press) override;

    /** `sounding`: the take that is heard now, 0 for none. */
    void show(const std::vector<Take>& takes, int chosen, int sounding);

  private:
    std::size_t rowsShown() const;
    Box row(std::size_t index) const;
    const Take* at(Spot spot) const;
    void drawRow(Canvas& canvas, const Box& row, const Take& take) const;
    std::size_t indexOfChosen() const;

    const Listener listener_;
    std::vector<Take> takes_;
    int chosen_ = 0, sounding_ = 0, pressed_ = 0;
    Spot pressedAt_;
    std::size_t first_ = 0;
};

} // namespace audioldm
