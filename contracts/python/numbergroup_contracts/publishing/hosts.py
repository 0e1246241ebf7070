"""Recognises URLs that name several hosts: kombu would silently use the first host only."""

from urllib.parse import urlsplit

SEVERAL_HOSTS = (
    "names several hosts, and only one is supported: give the address of a load balancer, or one host "
    "(percent-encode ; and , that belong to a password or a name)"
)


def names_several_hosts(url: str) -> bool:
    """Whether a broker's URL contains a list: `amqp://a//;amqp://b//`, `amqp://a,b//`, `amqp://a;b//`.

    Every `;` in an AMQP URL counts, because kombu splits the URL at each.
    """
    scheme, _, rest = url.partition("://")
    if scheme.startswith("amqp") and ";" in rest:
        return True
    try:
        host = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        # Misplaced square brackets: the code that opens the URL reports them.
        host = ""
    return ";" in host or "," in host or "://" in rest.partition("?")[0].rpartition("@")[2]
