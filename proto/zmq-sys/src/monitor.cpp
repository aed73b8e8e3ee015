// libzmq has this function always, but tells C of it only where its drafts are built; see monitor.rs.
#include <cstdint>

int zmq_socket_monitor_versioned(void *socket, const char *endpoint, uint64_t events, int version, int kind);

extern "C" int dhub_zmq_monitor(void *socket, const char *endpoint, uint64_t events, int version, int kind)
{
    return zmq_socket_monitor_versioned(socket, endpoint, events, version, kind);
}
