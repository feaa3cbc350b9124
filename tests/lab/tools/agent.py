"""agent.py PORT FILE: says on each connection what the FILE says then, and closes; over IPv4 and IPv6.
The answer to an agent check, for a test to change while it runs. A FILE that is not there: nothing."""
import asyncio
import sys


async def serve(_, writer):
    try:
        with open(sys.argv[2], "rb") as file:
            writer.write(file.read())
        await writer.drain()
    except OSError:
        pass
    writer.close()


async def main():
    server = await asyncio.start_server(serve, None, int(sys.argv[1]), backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
