// See limits.rs.
#include "dhub_limits.hpp"

std::atomic<int64_t> zmq::dhub_held (0);
std::atomic<int64_t> zmq::dhub_total (0);
std::atomic<int64_t> zmq::dhub_per_pipe (0);
std::atomic<int> zmq::dhub_frame_ms (60 * 1000);

extern "C" void dhub_zmq_limit_bytes(int64_t per_pipe, int64_t total)
{
    zmq::dhub_per_pipe.store(per_pipe);
    zmq::dhub_total.store(total);
}

extern "C" void dhub_zmq_limit_frame(int ms)
{
    zmq::dhub_frame_ms.store(ms);
}

extern "C" int64_t dhub_zmq_held_bytes()
{
    return zmq::dhub_held.load();
}
