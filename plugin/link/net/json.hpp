// As much JSON as the companion's answers need.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

namespace audioldm {

class Json {
  public:
    using Array = std::vector<Json>;
    using Object = std::map<std::string, Json>;

    /** Null where the text is not JSON. */
    static Json parse(const std::string& text);
    /** `text` as a JSON string, with its quotes. */
    static std::string quoted(const std::string& text);

    Json() = default;
    template <class Value>
    explicit Json(Value value) : value_(std::move(value)) {}

    /** A member of an object; null where there is none. */
    const Json& operator[](const std::string& key) const;
    const Array& array() const;
    const Object& object() const;
    std::string text() const;
    double number(double otherwise = 0) const;
    bool isTrue() const;
    bool isNull() const { return std::holds_alternative<std::monostate>(value_); }
    bool isText() const { return std::holds_alternative<std::string>(value_); }
    bool isNumber() const { return std::holds_alternative<double>(value_); }
    bool isObject() const { return std::holds_alternative<Object>(value_); }

  private:
    std::variant<std::monostate, bool, double, std::string, Array, Object> value_;
};

} // namespace audioldm
