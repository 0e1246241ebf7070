"""URLs that name several hosts: kombu would use the first of them and drop the rest without a word."""

from urllib.parse import urlsplit

SEVERAL_HOSTS = (
    "names several hosts, and only one is supported: give the address of a load balancer, or one host "
    "(percent-encode ; and , that belong to a password or a name)"
)


def names_several_hosts(url: str) -> bool:
    """Whether the URL of a broker has a list in it: `amqp://a//;amqp://b//`, `amqp://a,b//`, `amqp://a;b//`.

    A `;` anywhere in an AMQP URL counts, for kombu splits the URL there whatever stands around it.
    """
    scheme, _, rest = url.partition("://")
    if scheme.startswith("amqp") and ";" in rest:
        return True
    try:
        host = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        # Square brackets out of place: whoever opens the URL says that it is none.
        host = ""
    return ";" in host or "," in host or "://" in rest.partition("?")[0].rpartition("@")[2]
