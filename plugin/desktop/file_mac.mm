// macOS: drags by NSDraggingSession. Files are dropped elsewhere only (use Open). Never compiled
// nor tried: no Mac was at hand.
#include "desktop/file_drag.hpp"
#include "desktop/file_drop.hpp"

#import <AppKit/AppKit.h>

@interface AudioLdmDragSource : NSObject <NSDraggingSource>
@end

@implementation AudioLdmDragSource
- (NSDragOperation)draggingSession:(NSDraggingSession*)session
    sourceOperationMaskForDraggingContext:(NSDraggingContext)context {
    return NSDragOperationCopy;
}
@end

namespace audioldm {

struct FileDrag::Implementation {
    NSView* view;
    AudioLdmDragSource* source = [[AudioLdmDragSource alloc] init];

    ~Implementation() { [source release]; }
};

FileDrag::FileDrag(std::uintptr_t window)
    : implementation_(new Implementation{reinterpret_cast<NSView*>(window)}) {}

FileDrag::~FileDrag() = default;

bool FileDrag::begin(const std::string& path) {
    NSEvent* event = [NSApp currentEvent];
    NSURL* url = [NSURL fileURLWithPath:[NSString stringWithUTF8String:path.c_str()]];
    NSView* view = implementation_->view;
    if (event == nil || url == nil)
        return false;
    NSDraggingItem* item = [[[NSDraggingItem alloc] initWithPasteboardWriter:url] autorelease];
    const NSPoint at = [view convertPoint:[event locationInWindow] fromView:nil];
    NSImage* icon = [[NSWorkspace sharedWorkspace] iconForFile:[url path]];
    [item setDraggingFrame:NSMakeRect(at.x - 16, at.y - 16, 32, 32) contents:icon];
    [view beginDraggingSessionWithItems:@[ item ] event:event source:implementation_->source];
    return true;
}

struct FileDrop::Implementation {};

FileDrop::FileDrop(std::uintptr_t) {}

FileDrop::~FileDrop() = default;

std::vector<std::string> FileDrop::take() {
    return {};
}

} // namespace audioldm
