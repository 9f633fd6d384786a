// Colours and sizes.
#pragma once

namespace audioldm {

struct Rgb {
    int r, g, b, a = 255;
};

namespace theme {

constexpr Rgb kBackground{30, 32, 38};
constexpr Rgb kField{44, 47, 56};
constexpr Rgb kFieldFocused{54, 58, 70};
constexpr Rgb kButton{58, 62, 74};
constexpr Rgb kButtonOn{66, 118, 168};
constexpr Rgb kAccent{64, 122, 206};
constexpr Rgb kRecord{192, 66, 58};
constexpr Rgb kWell{22, 23, 28};
constexpr Rgb kWave{112, 172, 240};
constexpr Rgb kSelection{250, 204, 96, 70};
constexpr Rgb kPlayhead{255, 255, 255};
constexpr Rgb kText{226, 228, 232};
constexpr Rgb kTextDim{158, 163, 174};
constexpr Rgb kTextOff{104, 108, 118};
constexpr Rgb kGood{88, 200, 124};
constexpr Rgb kWarning{238, 176, 72};
constexpr Rgb kBad{226, 92, 82};
constexpr Rgb kFocus{140, 190, 250};

constexpr float kTextSize = 14, kSmallText = 12, kTitleText = 17;
constexpr float kRadius = 4;
constexpr float kMargin = 12, kRow = 26, kListRow = 24;

} // namespace theme

} // namespace audioldm
