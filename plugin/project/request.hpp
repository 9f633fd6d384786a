// What the companion is asked for: the fields are those of docs/osc.md.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace audioldm {

using FieldValue = std::variant<std::int64_t, double, std::string>;

struct Field {
    std::string name;
    FieldValue value;
};

struct Request {
    /** text, transfer, inpaint, continue, upscale or vary. */
    std::string kind;
    std::string prompt;
    std::vector<Field> fields;

    /** Sets a field, or adds it. */
    void set(const std::string& name, FieldValue value);
    const FieldValue* find(const std::string& name) const;
    /** A number of any type, or `otherwise`. */
    double number(const std::string& name, double otherwise) const;
    std::string text(const std::string& name) const;
};

} // namespace audioldm
