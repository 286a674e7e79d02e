import os
import signal

from dovetail.serving.stop_signals import stop_signals


def test_both_signals_stop_a_server_and_the_former_handlers_return():
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        with stop_signals() as stop:
            os.kill(os.getpid(), number)
            assert stop.wait(5)
        assert signal.getsignal(number) is before


def test_a_hang_up_is_told_and_stops_nothing():
    before = signal.getsignal(signal.SIGHUP)
    told: list[int] = []
    with stop_signals(hang_up=lambda: told.append(1)) as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.wait(0.05)
    assert told == [1]
    assert signal.getsignal(signal.SIGHUP) is before
