#pragma once

#include <memory>

#include "transport/blob_store.h"
#include "transport/nats_jetstream.h"

namespace varpulis::transport {

// The store in a stream of its own, made when it is first needed. Must go before the connection
// behind `context`.
//
//   {name}.chunk.{id}   the bytes of one version, cut; all on one subject
//   {name}.manifest     the versions that are whole, written last, expecting the manifest that was
//                       read first: of two writers one is refused, and looks again
//
// What the newest versions do not need is purged afterwards, chunks of broken attempts included.
std::unique_ptr<BlobStore> NewNatsBlobStore(JetStreamContext context, BlobStoreOptions options);

}  // namespace varpulis::transport
