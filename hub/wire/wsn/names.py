"""Namespaces, actions and topics of WS-BaseNotification 1.3 and of IHE DSUB."""

WSNT = "http://docs.oasis-open.org/wsn/b-2"
WSN_ACTIONS = "http://docs.oasis-open.org/wsn/bw-2"
WSRF_BF = "http://docs.oasis-open.org/wsrf/bf-2"
WSRF_R = "http://docs.oasis-open.org/wsrf/r-2"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SIMPLE = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple"
#: What documents of IHE bind the prefix "ihe" to, where they bind it at all.
TOPIC_NAMESPACES = frozenset({"urn:ihe:iti:dsub:2009", "urn:ihe:iti:pub-sub:2008"})
NSMAP = {"wsnt": WSNT}

WSN_FAULT = "http://docs.oasis-open.org/wsn/fault"
WSRF_FAULT = "http://docs.oasis-open.org/wsrf/fault"

SUBSCRIBE = f"{WSN_ACTIONS}/NotificationProducer/Subscribe"
UNSUBSCRIBE = f"{WSN_ACTIONS}/SubscriptionManager/Unsubscribe"
RENEW = f"{WSN_ACTIONS}/SubscriptionManager/Renew"
NOTIFY = f"{WSN_ACTIONS}/NotificationConsumer/Notify"
CREATE_PULL_POINT = f"{WSN_ACTIONS}/CreatePullPoint/CreatePullPoint"
DESTROY_PULL_POINT = f"{WSN_ACTIONS}/PullPoint/DestroyPullPoint"
GET_MESSAGES = f"{WSN_ACTIONS}/PullPoint/GetMessages"

#: Where the hub's broker and its pull points are.
BROKER = "/dsub/broker"
PULL_POINTS = "/dsub/pullpoints"


def request(operation: str) -> str:
    """The action of an operation's request."""
    return f"{operation}Request"


def response(operation: str) -> str:
    """The action of an operation's answer."""
    return f"{operation}Response"


def wsnt(name: str) -> str:
    """Clark notation."""
    return f"{{{WSNT}}}{name}"
