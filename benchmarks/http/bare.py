"""The yardstick, the least that a Python gateway can do: `bare.py --port N --upstream URL`."""

import argparse
from typing import Any

import aiohttp
import orjson
import uvicorn

session: aiohttp.ClientSession | None = None
args = argparse.Namespace()


async def app(scope: Any, receive: Any, send: Any) -> None:
    global session
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    request = orjson.loads(body) if body else {}
    request["model"] = "mock"
    session = session or aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    post = session.post(args.upstream + "/chat/completions", data=orjson.dumps(request))
    async with post as answer:
        keep = (b"Content-Type", b"Content-Length")
        headers = [(key.lower(), value) for key, value in answer.raw_headers if key.title() in keep]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if request.get("stream"):
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body"})
        else:
            data = await answer.read()
            orjson.loads(data)["usage"]
            await send({"type": "http.response.body", "body": data})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--upstream")
    parser.parse_args(namespace=args)
    options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "lifespan": "off"}
    uvicorn.run(app, port=args.port, log_level="error", access_log=False, **options)
