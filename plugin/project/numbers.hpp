// Numbers as text, whatever decimal point the host's locale has.
#pragma once

#include <locale>
#include <sstream>
#include <string>

namespace audioldm {

template <class Number>
std::string toText(Number number) {
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out.precision(17);
    out << number;
    return out.str();
}

template <class Number>
Number parsed(const std::string& text, Number otherwise) {
    std::istringstream in(text);
    in.imbue(std::locale::classic());
    Number number;
    return in >> number ? number : otherwise;
}

} // namespace audioldm
