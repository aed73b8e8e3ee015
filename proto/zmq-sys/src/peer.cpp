// What patches 02, 05 and 09 gave to libzmq's sockets; see peer.rs.
#include "precompiled.hpp"
#include "router.hpp"

static zmq::router_t *as_router(void *socket)
{
    // All handles of sockets are made from this class.
    return dynamic_cast<zmq::router_t *>(static_cast<zmq::socket_base_t *>(socket));
}

extern "C" int dhub_zmq_has_peer(void *socket, const void *id, size_t size)
{
    const zmq::router_t *router = as_router(socket);
    return router && router->has_peer(id, size);
}

extern "C" int dhub_zmq_drop_user(void *socket, const char *id, size_t size)
{
    zmq::socket_base_t *base = static_cast<zmq::socket_base_t *>(socket);
    return base->drop_user(std::string(id, size)) == 0;
}

extern "C" void dhub_zmq_wake(void *socket)
{
    static_cast<zmq::socket_base_t *>(socket)->wake();
}
