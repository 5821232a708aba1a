"""Joins its clients with one address, until it is told to go silent: then what is joined stays open and carries nothing."""
import socket
import threading


class Relay:
    """Listens on a loopback port until `close`."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.joined = 0
        self.silenced = 0
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self):
        """No byte passes any more on the connections there are; later ones are not concerned."""
        self.silenced = self.joined

    def close(self):
        for each in (self.listener, *self.sockets):
            each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            self.sockets += [client, server]
            self.joined += 1
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(self.joined, *pair), daemon=True).start()

    def _pump(self, number, source, target):
        try:
            while part := source.recv(1 << 16):
                if number > self.silenced:
                    target.sendall(part)
            if number > self.silenced:
                target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
