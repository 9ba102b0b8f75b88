// supergateway listens on every address of the machine and asks nobody who they are. Loaded
// before it (node --import), this has it listen on $MCP_GATEWAY_SOCKET alone, a socket that
// only the server in front can open.
import net from "node:net";

const path = process.env.MCP_GATEWAY_SOCKET;
if (!path) throw new Error("MCP_GATEWAY_SOCKET must name the socket");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (_port, ...rest) {
  return listen.call(this, { path }, ...rest.filter((one) => typeof one === "function"));
};
