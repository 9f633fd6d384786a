#include "link/net/socket.hpp"

#include <thread>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <cerrno>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

namespace audioldm {

namespace {

constexpr std::size_t kBufferBytes = 65536;

#ifdef _WIN32
using Handle = SOCKET;
using PollEntry = WSAPOLLFD;
constexpr int kSendFlags = 0;

void startSockets() {
    static const int started = [] {
        WSADATA data;
        return WSAStartup(MAKEWORD(2, 2), &data);
    }();
    (void)started;
}
void closeHandle(Handle handle) {
    closesocket(handle);
}
void neverBlock(Handle handle) {
    u_long on = 1;
    ioctlsocket(handle, FIONBIO, &on);
}
int pollOne(PollEntry& entry, int milliseconds) {
    return WSAPoll(&entry, 1, milliseconds);
}
bool wouldBlock() {
    const int error = WSAGetLastError();
    return error == WSAEWOULDBLOCK || error == WSAEINPROGRESS;
}
#else
using Handle = int;
using PollEntry = pollfd;
// A connection that the companion closed must not end the host by SIGPIPE.
#ifdef MSG_NOSIGNAL
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;
#endif

void startSockets() {}
void closeHandle(Handle handle) {
    ::close(handle);
}
void neverBlock(Handle handle) {
    fcntl(handle, F_SETFL, fcntl(handle, F_GETFL) | O_NONBLOCK);
    fcntl(handle, F_SETFD, FD_CLOEXEC);
#ifdef SO_NOSIGPIPE
    const int on = 1;
    setsockopt(handle, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}
int pollOne(PollEntry& entry, int milliseconds) {
    return poll(&entry, 1, milliseconds);
}
bool wouldBlock() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINPROGRESS || errno == EINTR;
}
#endif

/** A socket that is connected or on its way; kNone where that cannot be. */
std::intptr_t connected(const addrinfo& address) {
    const auto handle =
        std::intptr_t(::socket(address.ai_family, address.ai_socktype, address.ai_protocol));
    if (handle == Socket::kNone)
        return handle;
    neverBlock(Handle(handle));
    if (::connect(Handle(handle), address.ai_addr, int(address.ai_addrlen)) == 0 || wouldBlock())
        return handle;
    closeHandle(Handle(handle));
    return Socket::kNone;
}

} // namespace

bool Socket::openUdp(const std::string& host, std::uint16_t port) {
    if (!open(host, port, SOCK_DGRAM))
        return false;
    // Room for the takes of many jobs that end together.
    const int bytes = 1 << 20;
    setsockopt(Handle(handle_), SOL_SOCKET, SO_RCVBUF, reinterpret_cast<const char*>(&bytes),
               sizeof bytes);
    return true;
}

bool Socket::openTcp(const std::string& host, std::uint16_t port) {
    return open(host, port, SOCK_STREAM);
}

bool Socket::open(const std::string& host, std::uint16_t port, int type) {
    startSockets();
    close();
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = type;
    addrinfo* found = nullptr;
    if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
        return false;
    // IPv4 first: a server on 0.0.0.0 has nothing else, and one on :: has both.
    for (const bool ipv4 : {true, false})
        for (const addrinfo* a = found; a != nullptr && !isOpen(); a = a->ai_next)
            if ((a->ai_family == AF_INET) == ipv4)
                handle_ = connected(*a);
    freeaddrinfo(found);
    isStream_ = type == SOCK_STREAM;
    return isOpen();
}

void Socket::close() {
    if (isOpen())
        closeHandle(Handle(handle_));
    handle_ = kNone;
}

bool Socket::waitFor(short event, Milliseconds wait) const {
    if (!isOpen()) {
        std::this_thread::sleep_for(wait);
        return false;
    }
    PollEntry entry{};
    entry.fd = Handle(handle_);
    entry.events = event;
    return pollOne(entry, int(wait.count())) > 0;
}

bool Socket::canSend(Milliseconds wait) const {
    return waitFor(POLLOUT, wait);
}

long Socket::send(const char* bytes, std::size_t count) const {
    const long sent = long(::send(Handle(handle_), bytes, int(count), kSendFlags));
    return sent < 0 && wouldBlock() ? 0 : sent;
}

Received Socket::receive(Milliseconds wait, std::string& bytes) const {
    if (!waitFor(POLLIN, wait))
        return Received::nothing;
    bytes.resize(kBufferBytes);
    const long count = long(::recv(Handle(handle_), bytes.data(), int(bytes.size()), 0));
    if (count < 0)
        return wouldBlock() ? Received::nothing : Received::refused;
    bytes.resize(std::size_t(count));
    return count == 0 && isStream_ ? Received::refused : Received::bytes;
}

} // namespace audioldm
