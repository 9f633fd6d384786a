// Requests over HTTP 1.0, one connection each.
#pragma once

#include "link/net/socket.hpp"

#include <functional>
#include <string>

namespace audioldm {

struct HttpResponse {
    /** 0: no answer. */
    int status = 0;
    std::string body;

    bool isGood() const { return status >= 200 && status < 300; }
};

class HttpClient {
  public:
    /** Called while a request waits; false ends it. */
    using WhileWaiting = std::function<bool()>;

    HttpClient(std::string host, std::uint16_t port, std::string token, WhileWaiting waiting);

    HttpResponse get(const std::string& path) { return request("GET", path, "", ""); }
    HttpResponse remove(const std::string& path) { return request("DELETE", path, "", ""); }
    /** `headers`: further lines, each with its end. */
    HttpResponse post(const std::string& path, const std::string& headers,
                      const std::string& body) {
        return request("POST", path, headers, body);
    }

  private:
    HttpResponse request(const std::string& method, const std::string& path,
                         const std::string& headers, const std::string& body);
    bool connect(Socket& socket);
    bool send(Socket& socket, const std::string& bytes);
    std::string receive(Socket& socket);

    const std::string host_, token_;
    const std::uint16_t port_;
    const WhileWaiting waiting_;
};

} // namespace audioldm
