// See limits.rs.
#include "dhub_limits.hpp"

#include <map>
#include <mutex>

std::atomic<int64_t> zmq::dhub_held (0);
std::atomic<int64_t> zmq::dhub_total (0);
std::atomic<int64_t> zmq::dhub_per_pipe (0);
std::atomic<int> zmq::dhub_frame_ms (60 * 1000);
std::atomic<int> zmq::dhub_handshakes (0);
std::atomic<int> zmq::dhub_handshakes_most (0);

zmq::dhub_account_t *zmq::dhub_account_of (const std::string &user_id_, bool exempt_)
{
    // Not destroyed: at the end of the process connections may still have theirs.
    typedef std::map<std::pair<std::string, bool>, dhub_account_t *> accounts_t;
    static accounts_t &accounts = *new accounts_t;
    static std::mutex &turn = *new std::mutex;
    const bool exempt = exempt_ || (!user_id_.empty () && user_id_[user_id_.size () - 1] == '*');
    const std::lock_guard<std::mutex> lock (turn);
    dhub_account_t *&account = accounts[std::make_pair (user_id_, exempt)];
    if (!account)
        account = new dhub_account_t (user_id_, exempt);
    return account;
}

extern "C" void dhub_zmq_limit_bytes(int64_t per_pipe, int64_t total)
{
    zmq::dhub_per_pipe.store(per_pipe);
    zmq::dhub_total.store(total);
}

extern "C" void dhub_zmq_limit_frame(int ms)
{
    zmq::dhub_frame_ms.store(ms);
}

extern "C" void dhub_zmq_limit_handshakes(int most)
{
    zmq::dhub_handshakes_most.store(most);
}

extern "C" int dhub_zmq_has_too_many_handshakes()
{
    const int most = zmq::dhub_handshakes_most.load();
    return most != 0 && zmq::dhub_handshakes.load() >= most;
}

extern "C" void dhub_zmq_rest(const char *id, size_t size, int rests)
{
    // Over ipc it has another one.
    for (int exempt = 0; exempt != 2; ++exempt)
        zmq::dhub_account_of(std::string(id, size), exempt != 0)->rest(rests != 0);
}

extern "C" int64_t dhub_zmq_held_bytes()
{
    return zmq::dhub_held.load();
}
