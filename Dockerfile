# The one image of Carrel: operator, gateway, meter and CLI are the same code, started by different commands:
#   node /carrel/dist/operator/main.js
#   node /carrel/dist/gateway/main.js
#   node /carrel/dist/metering/sidecar/main.js
#   node /carrel/bin/carrel.js
# docker build -t carrel/carrel:0.1.0 .

FROM node:24-bookworm-slim AS dependencies
WORKDIR /carrel
COPY package.json package-lock.json ./
# Optional packages are Node itself, for a checkout on a machine with an older one.
# Nobody reads a package's types and source maps in a container; they are half of its files.
RUN npm ci --omit=dev --omit=optional --ignore-scripts \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

FROM node:24-bookworm-slim AS build
WORKDIR /carrel
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts scripts/
COPY src src
RUN npm run build

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /carrel
COPY --from=dependencies /carrel/node_modules node_modules
COPY package.json LICENSE ./
COPY bin/carrel.js bin/node24.cjs bin/
COPY --from=build /carrel/dist dist
# A number, so that runAsNonRoot can be checked. Nothing is written below /carrel: the root filesystem may be read-only.
USER 65532:65532
CMD ["node", "/carrel/bin/carrel.js", "--help"]
