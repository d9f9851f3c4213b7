from receiver.web.server import Joining


class Transport:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> str:
        return name


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


def test_a_head_is_sent_with_the_body_that_follows() -> None:
    inner = Transport()
    joining = Joining(inner)
    for _ in range(2):
        joining.write(HEAD)
        joining.write(b"ok")
    assert inner.sent == [HEAD + b"ok", HEAD + b"ok"]


def test_more_of_a_body_is_sent_as_it_comes() -> None:
    inner = Transport()
    joining = Joining(inner)
    for part in (HEAD, b"o", b"k"):
        joining.write(part)
    assert inner.sent == [HEAD + b"o", b"k"]


def test_a_head_without_a_body_is_sent_when_the_connection_closes() -> None:
    inner = Transport()
    joining = Joining(inner)
    joining.write(HEAD)
    joining.close()
    assert inner.sent == [HEAD]
    assert joining.is_closing()


def test_a_head_that_nothing_follows_is_sent_when_the_answer_is_complete() -> None:
    inner = Transport()
    joining = Joining(inner)
    joining.write(HEAD)
    joining.flush()
    joining.write(HEAD)
    joining.write(b"ok")
    assert inner.sent == [HEAD, HEAD + b"ok"]


def test_an_interim_answer_is_not_held_back() -> None:
    inner = Transport()
    Joining(inner).write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert inner.sent == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_everything_else_is_the_transports() -> None:
    assert Joining(Transport()).get_extra_info("peername") == "peername"
