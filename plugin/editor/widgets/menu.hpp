// A list that lies over the editor until something is chosen.
#pragma once

#include "editor/widgets/widget.hpp"

#include <functional>
#include <string>
#include <vector>

namespace audioldm {

struct MenuItem {
    std::string label;
    /** Beside the label, dimmed. */
    std::string remark;
};

class Menu : public Widget {
  public:
    Menu() { visible = false; }

    /** Below `anchor`, inside `room`; `chosen` gets the index of the item. */
    void open(const Box& anchor, const Box& room, std::vector<MenuItem> items,
              std::function<void(std::size_t)> chosen);
    void close() { visible = false; }

    void draw(Canvas& canvas) override;
    bool press(const MousePress& press) override;
    bool scroll(Spot at, float by) override;
    bool key(const KeyPress& press) override;
    /** Marks the item under the pointer. */
    void point(Spot at);

  private:
    std::size_t rowsShown() const;
    Box row(std::size_t index) const;
    void choose(std::size_t index);
    void keepMarkedInSight();

    std::vector<MenuItem> items_;
    std::function<void(std::size_t)> chosen_;
    std::size_t marked_ = 0, first_ = 0;
};

} // namespace audioldm
