"""An HTTP proxy that only knows CONNECT: joins its client with an address of the test's choice, and remembers who was
asked for."""
import socket
import threading


class ConnectProxy:
    """Listens on a loopback port until `close`. `hosts` leads `host:port` to `(host, port)`."""

    def __init__(self, hosts, answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.hosts = hosts
        self.answer = answer
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def targets(self):
        return [head.split()[1] for head in self.heads if head.startswith("CONNECT ")]

    def close(self):
        for each in (self.listener, *self.sockets):
            each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                part = client.recv(1 << 16)
                if not part:
                    return
                head += part
            head, rest = head.split(b"\r\n\r\n", 1)
            self.heads.append(head.decode("latin-1"))
            method, target = self.heads[-1].split()[:2]
            if method != "CONNECT" or target not in self.hosts:
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                client.close()
                return
            server = socket.create_connection(self.hosts[target])
            self.sockets.append(server)
            client.sendall(self.answer)
            server.sendall(rest)
            threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
            self._pump(client, server)
        except OSError:
            client.close()

    @staticmethod
    def _pump(source, target):
        try:
            while part := source.recv(1 << 16):
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
